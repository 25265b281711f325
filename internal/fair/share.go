package fair

// Share says that who has used so much has its part of a whole: at least least, and times
// what is free of it.
func Share(used, free, times, least int) bool { return used >= max(least, times*free) }
