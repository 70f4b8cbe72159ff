"""What results mean: intervals, paired tests, families of tests, and what a sample could have shown.

Numbers in, numbers out. Random generators are arguments, so that the same call gives the same numbers.
Only numpy is imported: scipy costs half a second at import, which every command would pay.
"""

from harness.stats.intervals import mean_interval

__all__ = ["mean_interval"]
