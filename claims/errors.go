package claims

import (
	"errors"
	"fmt"
)

// What New refuses.
var (
	// ErrName says that a claim's name is empty, too long, or not printable text.
	ErrName = errors.New("claims: not a claim name")
	// ErrReserved says that a claim's name is one that the token service writes itself.
	ErrReserved = errors.New("claims: reserved claim name")
	// ErrDuplicate says that two rules write the same claim.
	ErrDuplicate = errors.New("claims: claim named twice")
	// ErrKind says that a rule has not exactly one of attribute, expression and webhook.
	ErrKind = errors.New("claims: a claim needs exactly one of attribute, expression and webhook")
	// ErrAttribute says that a rule asks for an attribute that no user can have.
	ErrAttribute = errors.New("claims: unknown attribute")
	// ErrExpression says that an expression does not compile, or could run for too long; see ExpressionError.
	ErrExpression = errors.New("claims: not a valid expression")
	// ErrWebhook says that a webhook is not configured as it should be.
	ErrWebhook = errors.New("claims: webhook")
)

// Why Evaluate failed.
var (
	// ErrAttributes says that a user's attributes are not a JSON object.
	ErrAttributes = errors.New("claims: attributes are not a JSON object")
	// ErrEvaluation says that an expression failed on this user.
	ErrEvaluation = errors.New("claims: expression failed")
	// ErrValue says that a value can't be in a token: NaN, bytes, nested too deep, too large. New says so of a default.
	ErrValue = errors.New("claims: not a value for a token")
	// ErrUnavailable says that a webhook or the function did not answer, or not as it should.
	ErrUnavailable = errors.New("claims: not available")
)

var (
	// errAbsent says that there is nothing to put into a claim.
	errAbsent = errors.New("claims: absent")
	// errBusy says that too many calls wait for a remote already.
	errBusy = errors.New("too many calls at once")
	// errResting says that a remote that did not answer is left alone for a while.
	errResting = errors.New("it did not answer lately")
)

// ExpressionError is a fault that New found in an expression. It wraps ErrExpression.
type ExpressionError struct {
	Line, Column int // of the expression, from 1
	Message      string
}

func (e *ExpressionError) Error() string {
	return fmt.Sprintf("%v: line %d, column %d: %s", ErrExpression, e.Line, e.Column, e.Message)
}

func (e *ExpressionError) Unwrap() error { return ErrExpression }
