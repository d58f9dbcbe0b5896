"""The step workers: one package a step, and what they have in common.

A step's package has an async function `activities(context)` that gives the worker its activities. All else is common:
its queue, its database with the ledger, heartbeats, health, shutdown. Its own tables, if any, come from Alembic
revisions in its folder `migrations/`.
"""
