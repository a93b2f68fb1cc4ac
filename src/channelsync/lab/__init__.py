"""Simulated marketplaces, buyers, faults, replay and the demo; wires the same loops as the runtime."""
