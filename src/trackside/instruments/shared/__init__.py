"""The values of one application that several processes serve: each counts into a file of its own, all read all."""
