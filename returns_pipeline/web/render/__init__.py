"""Charts and pictures for pages. Photos are decoded in processes of their own, with a limit of memory."""
