package main

import (
	"fmt"
	"math"
	"strings"
)

// Measures of the chart, in pixels.
const (
	chartLabel = 210 // for the names at the left
	chartWidth = 560 // of the longest bar
	barHeight  = 16
	barGap     = 4
)

var chartColours = map[string]string{"limit": "#9aa5b1", "plain": "#6e7781", "postgres": "#1f6feb", "sqlite": "#2da44e", "peer": "#bf8700"}

// chart draws the rates as bars on a logarithmic scale, since they differ by
// orders of magnitude: a tenfold rate is always the same length more.
func (r *report) chart() string {
	if len(r.Cells) == 0 {
		return ""
	}
	low, high := math.Inf(1), 0.0
	for _, c := range r.Cells {
		low, high = min(low, c.Median.Rate), max(high, c.Median.Rate)
	}
	low = math.Pow(10, math.Floor(math.Log10(low)))
	length := func(rate float64) float64 { return chartWidth * math.Log(rate/low) / math.Log(high/low) }
	var b strings.Builder
	y := 40
	last := ""
	for _, scenario := range r.scenarioNames() {
		for _, c := range r.Cells {
			if c.Scenario != scenario {
				continue
			}
			if scenario != last {
				y += 8
				last = scenario
			}
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s, %s, %d</text>`, chartLabel-8, y+12, c.Scenario, c.Engine, c.Clients)
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, chartLabel, y, max(1, length(c.Median.Rate)), barHeight, chartColours[c.Engine])
			fmt.Fprintf(&b, `<text x="%.1f" y="%d">%.0f</text>`, chartLabel+6+max(1, length(c.Median.Rate)), y+12, c.Median.Rate)
			b.WriteByte('\n')
			y += barHeight + barGap
		}
	}
	width, height := chartLabel+chartWidth+80, y+16
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="8" y="18" font-size="14">Requests a second (logarithmic): request, on what, clients. %s</text>
`, width, height, width, height, r.Machine)
	for power := low; power <= high; power *= 10 {
		x := chartLabel + length(power)
		head += fmt.Sprintf(`<line x1="%.1f" y1="30" x2="%.1f" y2="%d" stroke="#ddd"/><text x="%.1f" y="38" fill="#666">%.0f</text>`+"\n", x, x, height, x+2, power)
	}
	return head + b.String() + "</svg>\n"
}

// scenarioNames are the scenarios in the order in which they were first measured.
func (r *report) scenarioNames() []string {
	var names []string
	seen := map[string]bool{}
	for _, c := range r.Cells {
		if !seen[c.Scenario] {
			names, seen[c.Scenario] = append(names, c.Scenario), true
		}
	}
	return names
}
