"""Runs docker-compose.yml on a real Docker engine, as an operator does, and inflicts faults on it."""
