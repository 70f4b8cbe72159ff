"""Reports: the leaderboard, as Markdown and as one HTML page that opens offline."""
