# Reads a Go cover profile in which a block may stand once for each program
# that was run, prints the coverage of each package, and fails below the bound.
$1 != "mode:" {
	statements[$1] = $2
	if ($3 > 0) covered[$1] = $2
}
END {
	for (block in statements) {
		name = block
		sub(/^github.com\/gatehouse-auth\/gatehouse\//, "", name)
		if (!sub(/\/[^\/]*$/, "", name)) name = ""
		if (name ~ exclude) continue
		total[name] += statements[block]
		reached[name] += covered[block]
	}
	for (name in total) {
		share = 100 * reached[name] / total[name]
		if (share < bound) failed = 1
		printf "coverage %5.1f %%  %s%s\n", share, name, share < bound ? "  below " bound " %" : "" | "sort -k4"
	}
	close("sort -k4")
	exit failed
}
