"""Is a suite worth its money? Scripted attempts and static rules that find tasks whose verdicts mean nothing.

`plays` says what is played, `plugin` plays it inside pytest, `judging` and its neighbours turn what happened into
findings, and `checking` drives the rounds. Only `plugin`, `player` and `rounds` touch pytest, sandboxes and processes.
"""
