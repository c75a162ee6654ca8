"""Govgate beside the direct call, the floor and its peers, in one run.

`python -m bench` measures and writes `RESULTS.md`; `python -m bench profile` shows where the
time of one subject goes. README.md says what each figure means.
"""
