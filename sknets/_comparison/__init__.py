"""The parts of `sknets.compare`, in the order in which a call meets them.

`target` and `problem` understand y and X; `candidates` is the table of models by kind
of data and `lineup` chooses from it; `preparation` readies tables, `forecasters` are
what forecasts of `series` are compared with; `measuring` cross-validates one model and
`run` all of them.
"""
