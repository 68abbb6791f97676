"""Attempts as Kubernetes Jobs: the script in its own image, our image beside it for its input and outputs,
one watch that tells how they end."""
