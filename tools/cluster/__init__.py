"""A laboratory of three whole hosts in network namespaces; a balancer, a venue and clients beside them; and faults."""
