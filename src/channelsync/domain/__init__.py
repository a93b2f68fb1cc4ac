"""What stock is and what may be promised: frozen dataclasses and pure functions."""
