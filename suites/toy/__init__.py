"""The toy world's three suites, in the shapes of the real ones: truth, instructions, toxicity.

They measure in a small invented world (`harness.toyworld`) what TruthfulQA, IFEval and RealToxicityPrompts
measure in the real one, through the same engine, scorer and statistics. Their scores say nothing about a real
model, and their names never lack `toy-`.
"""
