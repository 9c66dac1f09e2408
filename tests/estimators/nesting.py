"""Unbiased estimators of which any two may be nested, one within the f of the other."""

from reparam_suite.estimators import ARMS, REBAR, DisARM, Enumeration, LeaveOneOut, ScoreFunction

NESTING = {
    "LeaveOneOut": lambda: ScoreFunction(num_samples=2, baseline=LeaveOneOut()),
    "DisARM": lambda: DisARM(),
    "ARMS": lambda: ARMS(num_samples=3),
    "REBAR": lambda: REBAR(num_samples=2, temperature=0.5).double(),
    "Enumeration": lambda: Enumeration(),
}
