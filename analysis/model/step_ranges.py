"""Names of the NVTX ranges that our own loops push, and that the analysis looks for."""

STEP = "Step {}"
SPAN = "Steps {}:{}"
FORWARD = "Model Forward"
STOP_CHECK = "Check Stop Condition"
