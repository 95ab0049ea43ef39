"""The reference service: one program that plays user, product, order, payment, review and recommendation service.

What decides (settings, validation, ranking, keys) is free of I/O; `database`, `cache` and `calls` do the I/O; `services/` says what each
service is; `web` puts one together; `__main__` runs it.
"""
