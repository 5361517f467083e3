include $(sort $(wildcard $(BR2_EXTERNAL_C2C_AUTHD_PATH)/package/*/*.mk))
