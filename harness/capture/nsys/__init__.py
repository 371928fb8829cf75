"""Recording with Nsight Systems: its features, arguments, messages and exports."""
