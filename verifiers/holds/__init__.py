"""Holds: what a gate does so that a command reads the bytes that passed, and what its receipts may say of that.

``none``      nothing.
``recheck``   looks again when the command has ended: detection.
``snapshot``  the command gets a private copy that was hashed while it was made: prevention, for every kind of reader.
``handle``    the command gets pins and reads through `dataseal.verifiers.reader`: prevention for what is read so.
"""
