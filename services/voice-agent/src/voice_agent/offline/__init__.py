"""The offline speech pipeline: an ear, an answerer and a voice that need no key and no network.

It is the demo voice and ear: tuned to synthetic speech, true on real audio, and it asks again when unsure.

=====================  ==========================================================================================
module                 what it gives
=====================  ==========================================================================================
``language_model``     ``build_language_model(texts)``: what this tenant's callers can say, per document set
``ear``, ``stt``       the acoustic network and the word search, in a child process; ``OfflineSTT`` for an ``AgentSession``
``answerer``           ``decide(...)``: pure; says what a passage says, asks again, or does not know
``voice``              espeak-ng; ``OfflineTTS`` for an ``AgentSession``
=====================  ==========================================================================================
"""
