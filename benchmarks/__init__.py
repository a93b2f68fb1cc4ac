"""What `make bench` measures: order intake, the plan of a full reconcile, calls, and the way from order to push.

Every figure is a ratio of two things measured in the same run, in turns. Nothing here is part of the distribution.
"""
