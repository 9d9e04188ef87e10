"""Small programs, each of which drives one SDK. Each runs as a process of the environment that has the SDK."""
