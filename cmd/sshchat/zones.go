package main

// The zones that people name, for machines that have none of their own.
import _ "time/tzdata"
