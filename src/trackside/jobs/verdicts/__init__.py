"""What is wrong with the jobs, in sentences: computed once, for pages, series and notifications."""
