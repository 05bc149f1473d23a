"""What tests share: processes, sandboxes and folders."""
