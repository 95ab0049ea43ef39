"""The reference service: one program for the user, product, order, payment, review and recommendation service.

Logic (settings, validation, ranking, keys) does no I/O; `database`, `cache` and `calls` do. `services/` defines each
service, `web` assembles one, `__main__` runs it.
"""
