Files here whose names end in .toml change c2c-authd's configuration, key by key, in the order of
their names. A file in /etc takes the place of one with the same name in /usr/lib. No file holds a
secret. See c2c-authd.toml(5).
