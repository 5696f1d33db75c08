"""Stand-ins for the types of CML Cloud Manager that its EC2 client takes and gives: as much of each as a test needs."""
