"""``make matrix``: the supported versions of Ansible, Python and Helm, tried on the local cluster. Writes README's table."""
