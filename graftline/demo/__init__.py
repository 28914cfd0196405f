"""The demo: a throwaway repository and a plan with a scripted agent, through the real pipeline."""
