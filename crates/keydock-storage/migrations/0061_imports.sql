-- Whether a key was imported before is asked by the beginning of the SHA-256 of its secret.
CREATE INDEX keys_by_fingerprint ON keys (fingerprint);
