from voice_agent.main import main

main()
