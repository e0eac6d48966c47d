package claims

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
)

const (
	// maxExpressionRunes bounds an expression's text.
	maxExpressionRunes = 4 << 10
	// maxCost bounds one evaluation, in CEL's units: about one for each step, and a tenth for each character looked at.
	// A loop over a thousand elements passes. The time grows faster than the cost: at the limit it is about 20 ms.
	maxCost = 10_000
	// assumedSize is how many elements or characters New takes an attribute to have when it estimates the cost: a loop in
	// a loop over attributes passes, and a third loop in these does not.
	assumedSize = 30
	// interruptEvery is how many steps of a loop go by before the context is looked at again.
	interruptEvery = 100
)

// compiler compiles expressions. Its environment is made for the first.
type compiler struct{ env *cel.Env }

// expression is a compiled expression. It has no functions but CEL's own: it
// can't read a clock, wait or change anything.
type expression struct {
	program cel.Program
	ast     *ast.AST
}

func (c *compiler) compile(text string) (*expression, error) {
	if c.env == nil {
		env, err := newEnv()
		if err != nil {
			return nil, fmt.Errorf("%w: making the environment: %w", ErrExpression, err)
		}
		c.env = env
	}
	checked, issues := c.env.Compile(text)
	if issues.Err() != nil {
		var errs []error
		for _, e := range issues.Errors() {
			errs = append(errs, faultOf(e.Location, e.Message))
		}
		return nil, errors.Join(errs...)
	}
	tree := checked.NativeRep()
	if t := checked.OutputType(); !writable(t, true) {
		return nil, faultAt(tree, tree.Expr(), fmt.Sprintf("a token can't hold %s", t))
	}
	if fault := c.tooCostly(checked); fault != nil {
		return nil, fault
	}
	program, err := c.env.Program(checked,
		cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost), cel.InterruptCheckFrequency(interruptEvery))
	if err != nil { // a regular expression or another constant that is wrong
		return nil, faultAt(tree, tree.Expr(), err.Error())
	}
	return &expression{program, tree}, nil
}

// tooCostly estimates what an expression may cost, and finds the loop to blame.
func (c *compiler) tooCostly(checked *cel.Ast) error {
	estimate, err := c.env.EstimateCost(checked, sizes{})
	tree := checked.NativeRep()
	if err != nil {
		return faultAt(tree, tree.Expr(), "its cost can't be estimated")
	}
	if estimate.Max <= maxCost {
		return nil
	}
	worst, deepest := tree.Expr(), 0
	ast.PreOrderVisit(ast.NavigateAST(tree), ast.NewExprVisitor(func(e ast.Expr) {
		if n, ok := e.(ast.NavigableExpr); ok && n.Kind() == ast.ComprehensionKind && loopsAround(n) > deepest {
			worst, deepest = e, loopsAround(n)
		}
	}))
	return faultAt(tree, worst, fmt.Sprintf(
		"it may cost %d, more than the limit of %d, where attributes have %d elements: loops within loops", estimate.Max, maxCost, assumedSize))
}

// loopsAround counts the loops that an expression is or is in.
func loopsAround(e ast.NavigableExpr) int {
	n := 0
	for at, ok := e, true; ok; at, ok = at.Parent() {
		if at.Kind() == ast.ComprehensionKind {
			n++
		}
	}
	return n
}

func faultAt(tree *ast.AST, e ast.Expr, message string) error {
	return faultOf(tree.SourceInfo().GetStartLocation(e.ID()), message)
}

// faultOf counts from 1; a fault of the whole text has no place of its own, and gets its beginning.
func faultOf(at common.Location, message string) error {
	return &ExpressionError{max(at.Line(), 1), max(at.Column()+1, 1), message}
}

// sizes tells the estimate how large attributes are.
type sizes struct{}

func (sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: assumedSize}
}

func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// value evaluates the expression. A key that is not there makes it absent.
func (e *expression) value(ctx context.Context, s *subject) (any, error) {
	out, _, err := e.program.ContextEval(ctx, activation{s})
	if err == nil {
		return newWriter().write(out, maxDepth)
	}
	if strings.HasPrefix(err.Error(), "no such key: ") {
		return nil, errAbsent
	}
	return nil, fmt.Errorf("%w%s: %s", ErrEvaluation, e.where(err), reason(err))
}

// where says which part of the expression failed, if it is known.
func (e *expression) where(err error) string {
	fault, ok := errors.AsType[*types.Err](err)
	if !ok || fault.NodeID() == 0 {
		return ""
	}
	at := e.ast.SourceInfo().GetStartLocation(fault.NodeID())
	if at.Line() < 1 {
		return ""
	}
	return fmt.Sprintf(" at line %d, column %d", at.Line(), at.Column()+1)
}

// known are the texts of CEL's that have nothing of a user's in them.
var known = []string{"no such overload", "division by zero", "modulus by zero", "integer overflow", "unsigned integer overflow", "double overflow"}

// reason says why an evaluation failed, without the values that it failed on.
func reason(err error) string {
	cancelled, ok := errors.AsType[interpreter.EvalCancelledError](err)
	switch {
	case ok && cancelled.Cause == interpreter.CostLimitExceeded:
		return fmt.Sprintf("it costs more than %d", maxCost)
	case errors.Is(err, interpreter.InterruptError{}):
		return "its time is over"
	case errors.Is(err, ErrAttributes):
		return "the attributes are not a JSON object"
	}
	for _, text := range known {
		if strings.HasPrefix(err.Error(), text) {
			return text
		}
	}
	return "a value is not what it takes"
}

// writable reports whether a token may hold what has this type.
func writable(t *types.Type, outermost bool) bool {
	switch t.Kind() {
	case types.DynKind, types.AnyKind, types.BoolKind, types.DoubleKind, types.IntKind, types.UintKind, types.StringKind,
		types.NullTypeKind, types.TimestampKind, types.TypeParamKind:
		return true
	case types.ListKind:
		return writable(t.Parameters()[0], false)
	case types.MapKind:
		key := t.Parameters()[0].Kind()
		return slices.Contains([]types.Kind{types.StringKind, types.DynKind, types.TypeParamKind}, key) && writable(t.Parameters()[1], false)
	case types.OpaqueKind:
		return outermost && len(t.Parameters()) == 1 && t.IsExactType(types.NewOptionalType(t.Parameters()[0])) && writable(t.Parameters()[0], false)
	}
	return false
}
