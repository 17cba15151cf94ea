"""Seeded families of tasks, which cost nothing. Others come by the entry point `agenteval.families`.

A family draws numbers, computes what is right from these numbers, and only then writes the files that an agent reads.
So what a test expects never comes from the solution that it is compared with.
"""
