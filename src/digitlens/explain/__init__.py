"""Why a network answers as it does, and how a trained model fares: what the pictures show."""
