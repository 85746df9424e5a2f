"""What goes wrong at the simulated venue on purpose: a seeded plan, and the shell that carries it out."""

from pipeline.simulator.faults.plan import Fault, Plan, parse_option, parse_plan

__all__ = ["Fault", "Plan", "parse_option", "parse_plan"]
