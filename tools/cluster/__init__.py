"""A laboratory of hosts: network namespaces with etcd, Patroni and PostgreSQL, a stack beside them, and faults."""
