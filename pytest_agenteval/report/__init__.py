"""What a run looks like to its readers: every report takes summaries and verdicts, and gives text."""
