"""Pictures to train on: a folder or an archive of anybody's making, checked, in a known order.

Only ``training_data`` needs torch; what the window shows of a data set does not.
"""
