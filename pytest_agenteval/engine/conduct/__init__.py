"""What an attempt did beside passing or failing. Here is what watches an agent between its start and its end, and
judges its task's rules by that."""
