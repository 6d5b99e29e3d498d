"""Samples that applications and other servers send by themselves, where nothing can scrape them."""
