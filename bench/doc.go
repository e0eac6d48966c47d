// Command bench measures the service: against what its database can do at most,
// against the bare cryptography, and against the peer that Debian ships, all in
// one run on one machine. Ratios are the result; absolute numbers are the
// machine's.
//
//	bench run      the table, bench/results/*.json and the chart
//	bench growth   ten million sessions beside ten thousand, and a day of churn
//	bench wrk      sessions, signed in, for wrk
//
// It talks to loopback addresses alone. See docs/performance.md.
package main
