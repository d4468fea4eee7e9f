-- SHA-256 of the bytes, hexadecimal; absent of objects that were stored before it was kept.
ALTER TABLE object ADD COLUMN sha256 TEXT;
