"""Recording with CUPTI from inside the target's process, without Nsight Systems.

Two halves. In the target: `session`, `ranges`, `hooks` and the C shim; only the standard library,
for they run in any interpreter, harness installed or not. In the harness: `find`, `build`, `dump`,
`chrome`, `completeness`, `export` turn what the target left into a SQLite trace.
"""
