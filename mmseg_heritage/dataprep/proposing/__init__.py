"""What can be read off a folder of photographs and masks: pairs, values, what they may mean."""
