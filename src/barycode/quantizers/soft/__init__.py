"""Quantizers whose training output is a soft or random mixture, and schedules that harden it."""
