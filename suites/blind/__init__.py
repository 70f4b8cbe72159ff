"""Human blind tests: a sealed design, ballots and votes, and the audit of who rated."""
