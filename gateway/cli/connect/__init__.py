"""What each tool is told so that it asks this proxy: to be read, written into its settings, or given at its start."""
