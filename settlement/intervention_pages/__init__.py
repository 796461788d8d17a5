"""The admin's pages of interventions: choose an operation on a row, see what it would change, confirm; then decide."""
